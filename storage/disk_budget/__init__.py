"""What takes the disk, how fast, until when it lasts, and what is done before it is full."""
