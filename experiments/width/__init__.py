"""Over-parameterised gradient descent-ascent (Balaji et al. 2021)."""
