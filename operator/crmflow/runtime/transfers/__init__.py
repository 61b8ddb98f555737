"""The Jobs that copy windows into landing zones (design.md 11): made, watched, supplied and deleted.

They run in the operator's own namespace, whoever they are for, so labels tie them to their dataflows: no
ownerReference reaches into another namespace. ``template`` and ``manifests`` say what a Job looks like,
``reading`` what one says, ``cache`` and ``watch`` know those that there are, ``slots`` who may have the next
one, ``jobs`` is the port that reconciling sees, ``credits`` keeps what was spent.
"""
