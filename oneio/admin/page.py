"""What the read-only work pages share: found through the door, shown by a template of their own."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.paginator import InfinitePaginator

from oneio.admin.base import EnvironmentAdmin, ReadOnlyMixin


class WorkPage(ReadOnlyMixin, EnvironmentAdmin):
    """A list that never counts its table, and a page of its own for each row."""

    paginator = InfinitePaginator
    show_full_result_count = False
    sortable_by = ()
    list_disable_select_all = True
    page_template: ClassVar[str]

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the page's template needs besides the row itself."""
        raise LookupError(f"{type(self).__name__} has no page.")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show one row, read-only."""
        row = self.get_object(request, object_id)
        if row is None:
            messages.warning(request, self._not_found())
            return HttpResponseRedirect(reverse(self._url("changelist")))
        context = {
            **self.admin_site.each_context(request),
            "title": str(row),
            "opts": self.opts,
            "original": row,
            "row": row,
            **self.page_context(request, row),
        }
        return TemplateResponse(request, self.page_template, context)

    def _url(self, page: str) -> str:
        return f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"

    def _not_found(self) -> str:
        return f"This {self.opts.verbose_name} does not exist, or it lies in an environment you may not see."


def url_of(row: Model) -> str:
    """The admin page of a row."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
