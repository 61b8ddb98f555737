"""The documentation as a site, built by Zensical from the same pages that the forge shows."""
