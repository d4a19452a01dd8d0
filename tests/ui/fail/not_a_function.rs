use gateway::wsgi_app;

#[wsgi_app]
struct App;

fn main() {}
