"""The batch pages, inside the admin site."""

from __future__ import annotations

from functools import partial

from django.contrib.admin import AdminSite
from django.urls import URLPattern, path

from batches import downloads, list_views, sample_views, upload_views, views
from batches.bundles import share_views
from batches.bundles import views as bundle_views
from batches.intake.sample import FORMS
from batches.links import views as link_views
from batches.updates import views as update_views


def pages(site: AdminSite) -> list[URLPattern]:
    """Every page closed to people without a team, as the site itself is."""
    # Downloads say themselves how long they may be kept.
    download = partial(site.admin_view, cacheable=True)
    return [
        path("batches/", site.admin_view(list_views.batch_list), name="batches"),
        path("batches/clients/", site.admin_view(list_views.client_choices), name="batch_clients"),
        path("batches/opening/", site.admin_view(list_views.batches_on_their_way), name="batches_on_their_way"),
        path("batches/changes/", site.admin_view(list_views.batch_list_changes), name="batch_list_changes"),
        path("batches/act/", site.admin_view(list_views.batches_act), name="batches_act"),
        path("batches/new/", site.admin_view(upload_views.batch_upload), name="batch_upload"),
        *(
            path(
                f"batches/new/sample.{form}",
                site.admin_view(sample_views.sample_sheet),
                {"form": form},
                name=f"sample_{form}",
            )
            for form in FORMS
        ),
        path("batches/new/sample/", site.admin_view(sample_views.template_sample), name="template_sample"),
        path("batches/preview/<int:pk>/", site.admin_view(upload_views.upload_preview), name="upload_preview"),
        path("batches/preview/<int:pk>/commit/", site.admin_view(upload_views.upload_commit), name="upload_commit"),
        path("batches/preview/<int:pk>/check/", site.admin_view(upload_views.upload_check), name="upload_check"),
        path("batches/preview/<int:pk>/mapping/", site.admin_view(upload_views.upload_mapping), name="upload_mapping"),
        path("batches/preview/<int:pk>/now/", site.admin_view(upload_views.upload_progress), name="upload_progress"),
        path("batches/preview/<int:pk>/discard/", site.admin_view(upload_views.upload_discard), name="upload_discard"),
        path("batches/preview/<int:pk>/bad.csv", site.admin_view(upload_views.upload_bad_rows), name="upload_bad_rows"),
        path("batches/preview/<int:pk>/apply/", site.admin_view(update_views.upload_apply), name="upload_apply"),
        path("batches/<int:pk>/update/", site.admin_view(update_views.batch_update), name="batch_update"),
        path("batches/<int:pk>/", site.admin_view(views.batch_detail), name="batch"),
        path("batches/<int:pk>/inside/", site.admin_view(list_views.batch_inside), name="batch_inside"),
        path("batches/<int:pk>/changes/", site.admin_view(views.batch_changes), name="batch_changes"),
        path("batches/<int:pk>/start/", site.admin_view(views.batch_start), name="batch_start"),
        path("batches/<int:pk>/act/", site.admin_view(views.batch_act), name="batch_act"),
        path("batches/<int:pk>/pause/", site.admin_view(views.batch_pause), name="batch_pause"),
        path("batches/<int:pk>/amend/", site.admin_view(views.batch_amend), name="batch_amend"),
        path(
            "batches/<int:pk>/download/",
            site.admin_view(downloads.batch_download, cacheable=True),
            name="batch_download",
        ),
        path("batches/<int:pk>/files/", site.admin_view(bundle_views.batch_files), name="batch_files"),
        path("batches/<int:pk>/share/", site.admin_view(bundle_views.batch_share), name="batch_share"),
        path("sheets/new/", site.admin_view(link_views.link_sheet), name="link_sheet"),
        path("sheets/<int:pk>/", site.admin_view(link_views.linked_sheet), name="linked_sheet"),
        path("sheets/<int:pk>/now/", site.admin_view(link_views.linked_sheet_now), name="linked_sheet_now"),
        path("sheets/<int:pk>/sync/", site.admin_view(link_views.linked_sheet_sync), name="linked_sheet_sync"),
        path(
            "sheets/<int:pk>/settings/", site.admin_view(link_views.linked_sheet_settings), name="linked_sheet_settings"
        ),
        path("sheets/<int:pk>/unlink/", site.admin_view(link_views.linked_sheet_unlink), name="linked_sheet_unlink"),
        path("jobs/<int:pk>/files/", site.admin_view(bundle_views.job_files), name="job_files"),
        path("jobs/<int:pk>/share/", site.admin_view(bundle_views.job_share), name="job_share"),
        path("shares/<int:pk>/revoke/", site.admin_view(bundle_views.share_revoke), name="share_revoke"),
        path("jobs/<int:pk>/download/", site.admin_view(downloads.job_download, cacheable=True), name="job_download"),
        path("assets/<int:pk>/", download(downloads.asset_download), name="asset_download"),
    ]


def open_pages() -> list[URLPattern]:
    """What people without an account reach, with a token that somebody gave them."""
    return [
        path("share/<str:token>/", share_views.share_page, name="share"),
        path("share/<str:token>/download/", share_views.share_download, name="share_download"),
        path("share/<str:token>/films/<int:pk>/", share_views.share_film, name="share_film"),
    ]
