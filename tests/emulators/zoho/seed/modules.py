"""The modules of a seeded organization and their fields, named as Zoho CRM names them (zoho.md 3.4, 3.5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..data_centers import Environment
from ..model import FieldSpec
from .fields import address, lookup, many, module_fields, one, pick

LEAD_SOURCES = (
    "Advertisement", "Cold Call", "Employee Referral", "External Referral", "Online Store", "Partner",
    "Public Relations", "Seminar Partner", "Trade Show", "Web Download", "Chat",
)  # fmt: skip
INDUSTRIES = (
    "ASP", "Data/Telecom OEM", "ERP", "Government/Military", "Large Enterprise", "Management ISV",
    "Small/Medium Enterprise", "Storage Equipment", "Systems Integrator", "Wireless Industry",
)  # fmt: skip
RATINGS = ("Acquired", "Active", "Market Failed", "Project Cancelled", "Shut Down")
SALUTATIONS = ("Mr.", "Mrs.", "Ms.", "Dr.", "Prof.")


@dataclass(frozen=True)
class ModuleSeed:
    """A module before an organization gives it an id; ``records`` is how many it starts with."""

    api_name: str
    singular: str
    plural: str
    fields: dict[str, FieldSpec] = field(default_factory=dict)
    records: int = 0
    generated_type: str = "default"
    api_supported: bool = True
    status: str = "visible"
    field_metadata: bool = True
    in_developer: bool = False


def module_seeds(environment: Environment) -> list[ModuleSeed]:
    """Modules of an environment; developer has about half of production's (zoho.md 2)."""
    return [seed for seed in _MODULES if environment is not Environment.DEVELOPER or seed.in_developer]


_LEADS = module_fields(
    one("First_Name", "text", length=40),
    one("Last_Name", "text", length=80, mandatory=True),
    one("Full_Name", "text", read_only=True),
    pick("Salutation", *SALUTATIONS),
    one("Company", "text", length=200),
    many("text", "Designation", "Skype_ID", "Twitter"),
    many("email", "Email", "Secondary_Email"),
    many("phone", "Phone", "Mobile", "Fax"),
    one("Website", "website"),
    pick("Lead_Source", *LEAD_SOURCES),
    pick(
        "Lead_Status", "Attempted to Contact", "Contact in Future", "Contacted", "Junk Lead", "Lost Lead",
        "Not Contacted", "Pre-Qualified", "Not Qualified",
    ),
    pick("Industry", *INDUSTRIES),
    pick("Rating", *RATINGS),
    one("Annual_Revenue", "currency"),
    one("No_of_Employees", "integer", "No. of Employees"),
    one("Email_Opt_Out", "boolean"),
    many("text", "Street", "City", "State", "Zip_Code", "Country"),
    one("Description", "textarea"),
    one("Converted__s", "boolean", "Is Converted", read_only=True),
    pick("Unsubscribed_Mode", "Consent form", "Manual", "Unsubscribe link", read_only=True),
    one("Unsubscribed_Time", "datetime", read_only=True),
    one("Campaign_Code", "text", custom=True),
)  # fmt: skip

_CONTACTS = module_fields(
    one("First_Name", "text", length=40),
    one("Last_Name", "text", length=80, mandatory=True),
    one("Full_Name", "text", read_only=True),
    pick("Salutation", *SALUTATIONS),
    lookup("Account_Name", "Accounts"),
    lookup("Vendor_Name", "Vendors"),
    lookup("Reporting_To", "Contacts"),
    pick("Lead_Source", *LEAD_SOURCES),
    many("text", "Title", "Department", "Assistant", "Skype_ID", "Twitter"),
    many("email", "Email", "Secondary_Email"),
    many("phone", "Phone", "Home_Phone", "Other_Phone", "Mobile", "Fax", "Asst_Phone"),
    one("Date_of_Birth", "date"),
    one("Email_Opt_Out", "boolean"),
    address("Mailing"),
    address("Other"),
    one("Description", "textarea"),
    one(
        "Unsubscribed_Mode", "picklist", values=("Consent form", "Manual", "Unsubscribe link"), read_only=True
    ),
    one("Unsubscribed_Time", "datetime", read_only=True),
    pick("Enrich_Status__s", "Available", "Enriched", "Data not found"),
    one("Last_Enriched_Time__s", "datetime", read_only=True),
    pick("Customer_Tier", "Bronze", "Silver", "Gold", "Platinum", custom=True),
    pick("Preferred_Channels", "Email", "Phone", "Post", "SMS", data_type="multiselectpicklist", custom=True),
    one("Loyalty_Points", "integer", custom=True),
    one("Lifetime_Value", "currency", custom=True),
    one("Credit_Score", "double", custom=True),
    one("Newsletter", "boolean", custom=True),
    one("Consent_Date", "date", custom=True),
    one("Contract_Signed_At", "datetime", custom=True),
    one("External_Reference", "text", custom=True, length=50),
    one("Legacy_Code", "text", custom=True, used=False),
)

_ACCOUNTS = module_fields(
    one("Account_Name", "text", length=200, mandatory=True),
    many("text", "Account_Number", "Account_Site", "Ticker_Symbol"),
    pick("Account_Type", "Analyst", "Competitor", "Customer", "Distributor", "Partner", "Prospect", "Vendor"),
    pick("Industry", *INDUSTRIES),
    pick("Ownership", "Government", "Private", "Public", "Subsidiary"),
    pick("Rating", *RATINGS),
    lookup("Parent_Account", "Accounts"),
    one("Annual_Revenue", "currency"),
    one("Employees", "integer"),
    one("SIC_Code", "integer"),
    many("phone", "Phone", "Fax"),
    one("Website", "website"),
    many("text", *(f"Billing_{part}" for part in ("Street", "City", "State", "Code", "Country"))),
    many("text", *(f"Shipping_{part}" for part in ("Street", "City", "State", "Code", "Country"))),
    one("Description", "textarea"),
    one("Customer_Since", "date", custom=True),
)

_DEALS = module_fields(
    one("Deal_Name", "text", length=120, mandatory=True),
    lookup("Account_Name", "Accounts"),
    lookup("Contact_Name", "Contacts"),
    lookup("Campaign_Source", "Campaigns"),
    one("Amount", "currency"),
    one("Expected_Revenue", "currency", read_only=True),
    one("Probability", "integer", "Probability (%)"),
    one("Closing_Date", "date", mandatory=True),
    pick(
        "Stage", "Qualification", "Needs Analysis", "Value Proposition", "Proposal/Price Quote",
        "Negotiation/Review", "Closed Won", "Closed Lost", mandatory=True,
    ),
    pick("Type", "Existing Business", "New Business"),
    pick("Lead_Source", *LEAD_SOURCES),
    one("Next_Step", "text", length=100),
    one("Description", "textarea"),
    one("Sales_Cycle_Duration", "integer", read_only=True),
    one("Lead_Conversion_Time", "integer", read_only=True),
    one("Overall_Sales_Duration", "integer", read_only=True),
)  # fmt: skip

_TASKS = module_fields(
    one("Subject", "text", mandatory=True),
    one("Due_Date", "date"),
    pick("Status", "Not Started", "Deferred", "In Progress", "Completed", "Waiting for input"),
    pick("Priority", "High", "Highest", "Low", "Lowest", "Normal"),
    lookup("Who_Id", "Contacts", label="Contact Name"),
    lookup("What_Id", "Accounts", label="Related To"),
    one("Closed_Time", "datetime", read_only=True),
    # A picklist by name, but it holds instants (zoho.md 3.5).
    one("Remind_At", "ALARM", "Reminder", json_type="jsonobject"),
    one("Send_Notification_Email", "boolean"),
    one("Description", "textarea"),
)

_EVENTS = module_fields(
    one("Event_Title", "text", "Title", mandatory=True),
    one("Venue", "text", "Location"),
    one("All_day", "boolean"),
    many("datetime", "Start_DateTime", "End_DateTime"),
    lookup("Who_Id", "Contacts", label="Contact Name"),
    lookup("What_Id", "Accounts", label="Related To"),
    one("Reminder", "picklist"),
    one("Recurring_Activity", "RRULE", "Repeat", json_type="jsonobject"),
    one("Description", "textarea"),
)

_CALLS = module_fields(
    one("Subject", "text", mandatory=True),
    pick("Call_Type", "Outbound", "Inbound", "Missed"),
    pick("Call_Purpose", "Prospecting", "Administrative", "Negotiation", "Demo", "Project", "Desk"),
    one("Call_Start_Time", "datetime"),
    one("Call_Duration", "text"),
    one("Call_Duration_in_seconds", "integer"),
    lookup("Who_Id", "Contacts", label="Contact Name"),
    one("Description", "textarea"),
)

_PRODUCTS = module_fields(
    one("Product_Name", "text", mandatory=True),
    one("Product_Code", "text"),
    pick("Product_Category", "Hardware", "Software", "CRM Applications"),
    one("Product_Active", "boolean"),
    lookup("Vendor_Name", "Vendors"),
    one("Unit_Price", "currency"),
    one("Qty_in_Stock", "double", "Quantity in Stock"),
    one("Taxable", "boolean"),
    many("date", "Sales_Start_Date", "Sales_End_Date"),
    one("Description", "textarea"),
)

_CAMPAIGNS = module_fields(
    one("Campaign_Name", "text", mandatory=True),
    pick("Type", "Conference", "Webinar", "Trade Show", "Public Relations", "Email", "Advertisement"),
    pick("Status", "Planning", "Active", "Inactive", "Complete"),
    many("date", "Start_Date", "End_Date"),
    many("currency", "Expected_Revenue", "Budgeted_Cost", "Actual_Cost"),
    one("Num_sent", "bigint", "Numbers sent"),
    one("Description", "textarea"),
)

_VENDORS = module_fields(
    one("Vendor_Name", "text", mandatory=True),
    one("Email", "email"),
    one("Phone", "phone"),
    one("Website", "website"),
    pick("GL_Account", "Sales-Software", "Sales-Hardware", "Rental-Income"),
    many("text", "Street", "City", "State", "Zip_Code", "Country"),
)

_CASES = module_fields(
    one("Subject", "text", mandatory=True),
    one("Case_Number", "autonumber", read_only=True),
    pick("Status", "New", "On Hold", "Escalated", "Closed"),
    pick("Priority", "High", "Medium", "Low"),
    pick("Case_Origin", "Email", "Phone", "Web"),
    lookup("Account_Name", "Accounts"),
    lookup("Related_To", "Contacts"),
    many("textarea", "Description", "Solution"),
)

_QUOTES = module_fields(
    one("Subject", "text", mandatory=True),
    pick("Quote_Stage", "Draft", "Negotiation", "Delivered", "On Hold", "Confirmed", "Closed Won"),
    one("Valid_Till", "date"),
    lookup("Account_Name", "Accounts"),
    lookup("Contact_Name", "Contacts"),
    lookup("Deal_Name", "Deals"),
    one("Quoted_Items", "subform", mandatory=True),
    # Says text, is an object (zoho.md 3.5).
    one("Product_Details", "text", json_type="jsonobject"),
    one("Sub_Total", "formula", json_type="double", read_only=True),
    one("Grand_Total", "formula", json_type="double", read_only=True),
)

_INVOICES = module_fields(
    one("Subject", "text", mandatory=True),
    one("Invoice_Number", "autonumber", read_only=True),
    pick("Status", "Created", "Approved", "Delivered", "Cancelled"),
    many("date", "Invoice_Date", "Due_Date"),
    lookup("Account_Name", "Accounts"),
    lookup("Contact_Name", "Contacts"),
    one("Invoiced_Items", "subform", mandatory=True),
    one("Grand_Total", "formula", json_type="double", read_only=True),
)

_NOTES = module_fields(
    one("Note_Title", "text"),
    one("Note_Content", "textarea"),
    lookup("Parent_Id", "Contacts", mandatory=True),
)

_SUBSCRIPTIONS = module_fields(
    one("Name", "text", "Subscription Name", mandatory=True),
    lookup("Subscriber", "Contacts", custom=True),
    pick("Plan", "Basic", "Team", "Business", custom=True),
    one("Monthly_Fee", "currency", custom=True),
    one("Auto_Renew", "boolean", custom=True),
    one("Renews_At", "datetime", custom=True),
)

_MODULES = (
    ModuleSeed("Home", "Home", "Home", api_supported=False, in_developer=True),
    ModuleSeed("Leads", "Lead", "Leads", _LEADS, records=120, in_developer=True),
    ModuleSeed("Accounts", "Account", "Accounts", _ACCOUNTS, records=60, in_developer=True),
    ModuleSeed("Contacts", "Contact", "Contacts", _CONTACTS, records=150, in_developer=True),
    ModuleSeed("Deals", "Deal", "Deals", _DEALS, records=90, in_developer=True),
    ModuleSeed("Tasks", "Task", "Tasks", _TASKS, records=20, in_developer=True),
    ModuleSeed("Events", "Meeting", "Meetings", _EVENTS, records=10, in_developer=True),
    ModuleSeed("Calls", "Call", "Calls", _CALLS, records=10, in_developer=True),
    ModuleSeed("Products", "Product", "Products", _PRODUCTS, records=12),
    ModuleSeed("Campaigns", "Campaign", "Campaigns", _CAMPAIGNS, records=6),
    ModuleSeed("Vendors", "Vendor", "Vendors", _VENDORS),
    ModuleSeed("Cases", "Case", "Cases", _CASES, records=15),
    ModuleSeed("Quotes", "Quote", "Quotes", _QUOTES),
    ModuleSeed("Invoices", "Invoice", "Invoices", _INVOICES, status="user_hidden"),
    ModuleSeed("Notes", "Note", "Notes", _NOTES, records=10, in_developer=True),
    ModuleSeed("Subscriptions", "Subscription", "Subscriptions", _SUBSCRIPTIONS, 25, "custom"),
    ModuleSeed(
        "Old_Contracts", "Old Contract", "Old Contracts", module_fields(one("Name", "text")), 0, "custom",
        status="scheduled_for_deletion",
    ),
    ModuleSeed("Intranet", "Intranet", "Intranet", generated_type="web", api_supported=False),
    # Listed as usable, yet it has no field metadata (zoho.md 3.5).
    ModuleSeed("Email_Analytics", "Email Analytics", "Email Analytics", field_metadata=False),
)  # fmt: skip
