// Command longwire holds, makes and tries out long-lived framed TCP connections.
// "longwire help" tells what it can do.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
