"""Mixtures on images: MIX+DCGAN and MIX+WGAN (Arora et al. 2017, section 6)."""
