from django.contrib import admin

from project.models import Article


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):
    list_display = ["name", "stock"]
    search_fields = ["name"]
