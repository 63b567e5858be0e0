"""What the processes mount of the first pages."""

from ias.console.navigation import Area, Entry
from ias.home.pages import HomePages, OverviewPages

__all__ = ["NAVIGATION", "pages"]

pages = (HomePages, OverviewPages)

NAVIGATION = (
    Entry("Home", "/orgs/{org_id}", "house", "organisations:read", place=0),
    Entry("Overview", "/overview", "gauge", "usage:platform", place=0, area=Area.PLATFORM),
)
