"""MIX+GAN: more modes with more components, and what the weights do (Arora et al. 2017, section 5)."""
