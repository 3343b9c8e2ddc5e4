"""The perceptual distance between images (LPIPS) and the networks it needs."""
