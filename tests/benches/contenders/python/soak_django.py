"""What the soak asks of Django: notes in a database, written, read and deleted, with sessions and a template."""

from pathlib import Path

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.http import HttpResponse
from django.template import engines
from django.urls import path

PAGE = "{% for note in notes %}<p>{{ note.text }}</p>{% endfor %}"


def make():
    """The application, with a new database in the current folder."""
    database = Path("soak.sqlite3").absolute()
    database.unlink(missing_ok=True)
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="not much of a secret",
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django.contrib.sessions"],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": database,
                "CONN_MAX_AGE": None,
                "OPTIONS": {"timeout": 60, "init_command": "PRAGMA journal_mode=wal; PRAGMA synchronous=off;"},
            },
        },
        # Failures are the gateway's to log.
        LOGGING_CONFIG=None,
        USE_TZ=True,
    )
    application = get_wsgi_application()

    class Note(models.Model):
        text = models.TextField()

        class Meta:
            app_label = "soak"

    with connection.schema_editor() as editor:
        editor.create_model(Note)
    connection.close()
    Notes.model = Note
    return application


class Notes:
    model = None


def notes(request):
    if "text" in request.GET:
        note = Notes.model.objects.create(text=request.GET["text"])
        request.session["last"] = note.pk
        # So that the table does not grow.
        Notes.model.objects.filter(pk__lte=note.pk - 20).delete()
    page = engines["django"].from_string(PAGE)
    return HttpResponse(page.render({"notes": Notes.model.objects.order_by("-pk")[:20]}, request))


def crash(_):
    raise RuntimeError("a failure, as asked")


urlpatterns = [path("notes", notes), path("crash", crash)]
