"""Adobe's side: IMS and the five services that a CRM dataflow needs, as platform.md describes them."""
