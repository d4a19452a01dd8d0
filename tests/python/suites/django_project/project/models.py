from django.db import models


class Article(models.Model):
    name = models.CharField(max_length=100)
    stock = models.IntegerField(default=0)
    picture = models.FileField(upload_to="pictures", blank=True)

    def __str__(self):
        return self.name
