from django.contrib import admin
from django.urls import path

from board import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("form/", views.form, name="form"),
    path("upload/", views.upload),
    path("stream/", views.stream),
    path("go-on/", views.release),
    path("endless/", views.endless),
    path("source/", views.source),
    path("private/", views.private, name="private"),
    path("links/", views.links),
    path("notes/", views.notes),
    path("meet/", views.meet),
    path("later/", views.later),
    path("state/", views.tell),
    path("crash/", views.crash),
]
