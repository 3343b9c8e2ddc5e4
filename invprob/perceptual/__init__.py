"""LPIPS, the perceptual distance between images: networks, weight files, and the distance."""
