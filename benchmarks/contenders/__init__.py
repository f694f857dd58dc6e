"""What is compared: the compiled network and the hand-written ones, a file each."""
