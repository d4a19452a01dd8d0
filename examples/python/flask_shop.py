"""A small shop in Flask, as it was before anybody thought of Rust. Everything is in memory."""

import itertools

from flask import Flask, abort, jsonify, redirect, render_template_string, request, url_for

app = Flask(__name__)

PRODUCTS = {
    1: {"name": "Apple", "price": 30},
    2: {"name": "Pear", "price": 45},
    3: {"name": "Quince", "price": 120},
}
ORDERS = []
NUMBERS = itertools.count(1)

PAGE = """<!doctype html>
<title>The shop</title>
<h1>The shop</h1>
<ul>
{%- for id, product in products.items() %}
  <li><a href="{{ url_for('product', id=id) }}">{{ product.name }}</a>, {{ product.price }} cents
    <form action="{{ url_for('order', id=id) }}" method="post"><input name="count" value="1" size="3"> <button>Order</button></form>
{%- endfor %}
</ul>
<p>{{ orders }} orders so far</p>
"""


@app.get("/")
def front():
    return render_template_string(PAGE, products=PRODUCTS, orders=len(ORDERS))


@app.get("/products")
def products():
    return jsonify([{"id": id, **product} for id, product in PRODUCTS.items()])


@app.get("/products/<int:id>")
def product(id):
    if id not in PRODUCTS:
        abort(404, f"There is no product {id}.")
    return jsonify({"id": id, **PRODUCTS[id]})


@app.post("/products/<int:id>")
def order(id):
    count = request.form.get("count", default=1, type=int)
    if id not in PRODUCTS or not 1 <= count <= 100:
        abort(422)
    ORDERS.append({"number": next(NUMBERS), "product": id, "count": count})
    return redirect(url_for("orders"), 303)


@app.get("/orders")
def orders():
    return jsonify(ORDERS)


@app.get("/quote")
def quote():
    """What an order costs, with a discount from ten on: nothing but arithmetic, so it is the first to move."""
    id, count = request.args.get("product", type=int), request.args.get("count", default=1, type=int)
    if id not in PRODUCTS or count < 1:
        abort(422)
    total = PRODUCTS[id]["price"] * count
    if count >= 10:
        total -= total // 10
    return f"{total} cents\n"
