"""What master and workers say to each other."""
