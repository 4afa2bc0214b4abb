"""Parts of solvers: the game, a side and its update, gradients, turns."""
