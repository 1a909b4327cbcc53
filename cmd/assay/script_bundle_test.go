package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// setStock lets a story run the upstream binary of OPA as $OPA, also where it has to fail.
func setStock(ts *testscript.TestScript, _ []string) {
	program, err := stock()
	ts.Check(err)
	ts.Setenv("OPA", program)
}

// keyPair mints NAME.pem and NAME.pub.
func keyPair(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: keypair NAME ES256|RS256")
	}
	var key crypto.Signer
	var err error
	if args[1] == "ES256" {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600))
}

// packFile writes an archive as nobody's tool would.
func packFile(ts *testscript.TestScript, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: pack OUT PATH=FILE|PATH->TARGET|PATH*MEBIBYTES…")
	}
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)
	for _, arg := range args[1:] {
		header := &tar.Header{Typeflag: tar.TypeReg, Mode: 0o644}
		var text []byte
		if path, target, ok := strings.Cut(arg, "->"); ok {
			header.Name, header.Linkname, header.Typeflag = path, target, tar.TypeSymlink
		} else if path, count, ok := strings.Cut(arg, "*"); ok {
			mebibytes, err := strconv.Atoi(count)
			ts.Check(err)
			header.Name, text = path, make([]byte, mebibytes<<20)
		} else {
			path, file, _ := strings.Cut(arg, "=")
			header.Name, text = path, []byte(ts.ReadFile(file))
		}
		header.Size = int64(len(text))
		ts.Check(archive.WriteHeader(header))
		_, err := archive.Write(text)
		ts.Check(err)
	}
	ts.Check(archive.Close())
	ts.Check(compressed.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes(), 0o600))
}

// cutFile leaves out the end of a file, flipFile changes a byte in the middle.
func cutFile(ts *testscript.TestScript, args []string) {
	damaged(ts, args, func(data []byte) []byte { return data[:len(data)-40] })
}

func flipFile(ts *testscript.TestScript, args []string) {
	damaged(ts, args, func(data []byte) []byte { data[len(data)-6] ^= 1; return data })
}

func damaged(ts *testscript.TestScript, args []string, change func([]byte) []byte) {
	if len(args) != 2 {
		ts.Fatalf("usage: cutfile|flipfile FILE OUT")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), change([]byte(ts.ReadFile(args[0]))), 0o600))
}
