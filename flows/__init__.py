"""What runs when and in which order: one file per flow, no I/O and no arithmetic of its own."""
