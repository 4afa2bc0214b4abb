"""Solvers around another solver: extragradient steps, averages, lookahead."""
