"""``kubectl crmflow``: what people do by hand, with their own rights."""
