"""What limited discriminators cannot see, and equilibria of mixtures (Arora et al. 2017, sections 3 and 4)."""
