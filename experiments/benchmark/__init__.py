"""How fast, against PyTorch, against k, and where the time goes: programs that measure, not tests that time."""
