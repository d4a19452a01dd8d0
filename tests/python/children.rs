//! Processes that an application starts.

use crate::process::Process;

/// Answers with the exit code of a child of `multiprocessing`, and with what it has sent.
const APP: &str = "
import json, multiprocessing, os, sys

def work(queue, number):
    print('a child prints', number)
    queue.put([number * number, sys.prefix == os.environ.get('PREFIX', sys.prefix)])

def app(environ, start_response):
    method = environ['PATH_INFO'].strip('/')
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=work, args=(queue, 3))
    child.start()
    result = queue.get(timeout=60)
    child.join(60)
    start_response('200 OK', [])
    return [json.dumps([child.exitcode, result]).encode()]
";

/// The children run the interpreter, not this program, have its modules, and exit with 0 and with their output.
fn run_child(method: &str) {
    let server = Process::start(APP, &[]);
    for _ in 0..2 {
        assert_eq!(server.get(&format!("/{method}")), "[0, [9, true]]", "{}", server.log());
    }
    let (code, said, complained) = server.stop();
    assert_eq!((code, said.as_str()), (Some(0), "a child prints 3\na child prints 3\n"), "{complained}");
    assert!(!complained.contains("Error"), "{complained}");
}

#[test]
fn a_child_of_multiprocessing_is_spawned() {
    run_child("spawn");
}

#[test]
fn a_child_of_multiprocessing_comes_from_the_fork_server() {
    run_child("forkserver");
}

/// PY-12: the thread of the request is the main thread of the child.
#[test]
fn a_child_of_multiprocessing_is_forked() {
    run_child("fork");
}

/// Forks in a call, in an iteration and in `close`. The parent answers with the exit code of the child, which does what
/// the path says.
const FORKS: &str = "
import os, sys

def fork(environ):
    child = os.fork()
    if child:
        return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode()
    print('a child prints')
    path = environ['PATH_INFO']
    if 'raises' in path:
        raise ValueError('raised in a child')
    if 'exits' in path:
        sys.exit(3)
    if 'quits' in path:
        sys.exit('no way on')
    return b'of the child'

class Closes:
    def __init__(self, environ):
        self.environ = environ
    def __iter__(self):
        yield b'body'
    def close(self):
        os.write(2, b'closed: ' + fork(self.environ) + b'\\n')

def yields(environ):
    yield b'forks: '
    yield fork(environ)
    yield b'.'

def app(environ, start_response):
    write = start_response('200 OK', [])
    path = environ['PATH_INFO']
    if path.startswith('/call'):
        return [fork(environ)]
    if path.startswith('/iteration'):
        return yields(environ)
    if path.startswith('/close'):
        return Closes(environ)
    code = fork(environ)
    try:
        write(code)
    except RuntimeError as error:
        print(error)
    return []
";

/// A child that comes back from a call does not go on as a second server: it ends as a program of Python does.
#[test]
fn a_forked_child_ends_with_the_call_that_forked_it() {
    let server = Process::start(FORKS, &[]);
    for (path, code) in [("returns", "0"), ("raises", "1"), ("exits", "3"), ("quits", "1")] {
        assert_eq!(server.get(&format!("/call/{path}")), code, "{}", server.log());
        assert_eq!(server.get(&format!("/iteration/{path}")), format!("forks: {code}."), "{}", server.log());
        assert_eq!(server.get(&format!("/close/{path}")), "body", "{}", server.log());
        assert!(server.log().contains(&format!("closed: {code}\n")), "{}", server.log());
    }
    assert_eq!(server.get("/write"), "0", "{}", server.log());
    let (code, said, complained) = server.stop();
    assert_eq!(code, Some(0), "{complained}");
    let inert = "this belongs to a request that has ended, or to another thread or process\n";
    assert_eq!(said, "a child prints\n".repeat(13) + inert, "{complained}");
    // Of the children that return or raise, and not of those that end by intention.
    assert_eq!(complained.matches("an application had forked came back from the call").count(), 7, "{complained}");
    assert_eq!(complained.matches("ValueError: raised in a child\n").count(), 3, "{complained}");
    assert_eq!(complained.matches("no way on\n").count(), 3, "{complained}");
    assert!(!complained.contains("ERROR"), "{complained}");
}
