"""How an encoder of images into latents is trained and scored."""
