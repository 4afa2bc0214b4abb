"""GANs from first principles: scoring rules and exact games (Nie, Liu and Patel)."""
