package longwiretest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/longwire/longwire/longwiretest"
)

// A server and its client talk without a port.
func Example() {
	var network longwiretest.Network
	ln, err := network.Listen("gateway:10302")
	if err != nil {
		log.Fatal(err)
	}
	defer ln.Close()

	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		line, _ := bufio.NewReader(conn).ReadString('\n')
		fmt.Fprintf(conn, "you said %s", line)
	}()

	conn, err := network.Dial(context.Background(), "gateway:10302")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, "hello")
	answer, err := io.ReadAll(conn)
	fmt.Printf("%s%v\n", answer, err)
	// Output:
	// you said hello
	// <nil>
}

// Both ends may write before anybody reads.
func ExamplePipe() {
	board, gateway := longwiretest.Pipe()
	defer board.Close()
	defer gateway.Close()

	fmt.Fprint(board, "hello, gateway")
	fmt.Fprint(gateway, "hello, board")

	buf := make([]byte, 100)
	n, _ := gateway.Read(buf)
	fmt.Println(string(buf[:n]))
	n, _ = board.Read(buf)
	fmt.Println(string(buf[:n]))
	// Output:
	// hello, gateway
	// hello, board
}

// With MaxRead, data arrives in pieces, as it may on every real connection.
func ExampleNetwork_Pipe() {
	network := longwiretest.Network{MaxRead: 5}
	board, gateway := network.Pipe()
	defer gateway.Close()

	fmt.Fprint(board, "one message")
	board.Close()

	buf := make([]byte, 100)
	for {
		n, err := gateway.Read(buf)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%q\n", buf[:n])
	}
	// Output:
	// "one m"
	// "essag"
	// "e"
	// EOF
}

// DialContext fits wherever a program takes a dial function.
func ExampleNetwork_DialContext() {
	var network longwiretest.Network
	ln, err := network.Listen("board.example:80")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "online")
	})}
	go server.Serve(ln)
	defer server.Close()

	transport := &http.Transport{DialContext: network.DialContext}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	resp, err := client.Get("http://board.example/state")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	state, _ := io.ReadAll(resp.Body)
	fmt.Println(string(state))
	// Output: online
}

// After a reset, both ends fail at once and what was not read is lost.
func ExampleConn_Reset() {
	board, gateway := longwiretest.Pipe()
	defer board.Close()
	defer gateway.Close()

	fmt.Fprint(board, "never read")
	board.Reset()
	_, err := gateway.Read(make([]byte, 100))
	fmt.Println(errors.Is(err, syscall.ECONNRESET))
	// Output: true
}

// A board that loses power says nothing: only the deadline ends the wait.
func ExampleConn_Cut() {
	board, gateway := longwiretest.Pipe()
	defer board.Close()
	defer gateway.Close()

	board.Cut()
	_, err := fmt.Fprint(gateway, "are you there?")
	fmt.Println("write:", err)

	gateway.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err = gateway.Read(make([]byte, 100))
	fmt.Println("read timed out:", errors.Is(err, os.ErrDeadlineExceeded))
	// Output:
	// write: <nil>
	// read timed out: true
}

// A client that has no more questions still reads the answers.
func ExampleConn_CloseWrite() {
	client, server := longwiretest.Pipe()
	defer client.Close()
	defer server.Close()

	fmt.Fprint(client, "question")
	client.CloseWrite()

	question, err := io.ReadAll(server)
	fmt.Printf("%s %v\n", question, err)
	fmt.Fprint(server, "answer")
	buf := make([]byte, 100)
	n, _ := client.Read(buf)
	fmt.Println(string(buf[:n]))
	// Output:
	// question <nil>
	// answer
}
