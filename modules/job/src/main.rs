//! Prints its arguments and its environment, one a line, and ends with exit code 0.

use std::env;

fn main() {
    for (position, argument) in env::args().enumerate().skip(1) {
        println!("argument {position}: {argument}");
    }
    let mut variables: Vec<_> = env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        println!("{name}={value}");
    }
    println!("done");
}
