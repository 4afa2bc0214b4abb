"""A GAN of two Gaussians: optimal against first-order discriminators (Li et al. 2018)."""
