"""The Siamese network as a trained comparer: architectures, losses, training pairs and the trained file."""
