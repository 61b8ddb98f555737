"""``kubectl crmflow doctor``: what works, what does not, and what to do about it. It only reads."""
