"""What single experiments are made of, where a script alone would be too long: games, measures, figures."""
