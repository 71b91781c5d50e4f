"""The whole photo around the faces: holes are filled and colours are given by networks for any image."""
