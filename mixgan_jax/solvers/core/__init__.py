"""What solvers are made of: the game, a side and its update, gradients, turns."""
