"""The double oracle: the restricted game, candidates, and the solver."""
