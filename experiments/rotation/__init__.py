"""Games that rotate: Dirac-GAN, optimisers of games, JARE."""
