from django.contrib import admin
from django.urls import include, path

from project import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("count/", views.count),
    path("greeting/", views.greeting),
    path("upload/", views.upload),
    path("files/<str:name>", views.file),
    path("pages/<str:title>/", views.page),
    path("stock/<int:number>/add", views.add),
    path("async/", views.gathered),
    path("async/articles/", views.articles),
    path("lines/", views.lines),
    path("async/lines/", views.async_lines),
    path("echo/", views.echo),
    path("fail/", views.fail),
    path("cookies/", views.cookies),
    path("where/", views.where),
]
