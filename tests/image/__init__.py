"""The image, built and run where no registry can be reached. It needs root, debootstrap and buildah."""
