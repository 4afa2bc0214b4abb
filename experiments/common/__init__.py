"""What experiments share: command lines, run folders, training, results."""
