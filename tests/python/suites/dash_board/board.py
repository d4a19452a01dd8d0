"""A page whose text follows its input."""

from dash import Dash, Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate

app = Dash(__name__, title="Übersicht")
app.layout = html.Div(
    [
        html.H1("Größen"),
        dcc.Input(id="name", value="Jürgen"),
        html.Button("Senden", id="send"),
        html.Div(id="greeting"),
        dcc.Download(id="file"),
    ]
)


@app.callback(Output("greeting", "children"), Input("name", "value"))
def greet(name):
    if name == "nobody":
        raise PreventUpdate
    return f"Grüße, {name}"


@app.callback(Output("file", "data"), Input("send", "n_clicks"), State("name", "value"), prevent_initial_call=True)
def download(clicks, name):
    return dcc.send_bytes(f"{name} {clicks}".encode() * 10_000, "größe.txt")


server = app.server
