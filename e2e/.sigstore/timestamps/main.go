// Timestamps is Sigstore's timestamp authority without its metrics: timestamp-server serves them on
// port 2112 of every address and ends where that is taken, so there could be one on a machine.
package main

import (
	"flag"
	"log"
	"os"
	"time"

	"github.com/sigstore/timestamp-authority/v2/pkg/server"
	"github.com/spf13/viper"
)

func main() {
	host := flag.String("host", "127.0.0.1", "address to listen on")
	port := flag.Int("port", 0, "port to listen on")
	key := flag.String("file-signer-key-path", "", "PEM file of the private key")
	chain := flag.String("certificate-chain-path", "", "PEM file of its certificates, the root last")
	flag.Parse()
	os.Args = os.Args[:1]                    // the server looks for flags of its own
	for name, value := range map[string]any{ // as timestamp-server's flags have them, or their defaults
		"timestamp-signer": "file", "timestamp-signer-hash": "sha256", "enforce-intermediate-eku": true,
		"file-signer-key-path": *key, "certificate-chain-path": *chain,
		"default-policy-oid": "1.3.6.1.4.1.57264.2", "accepted-policy-oids": []string{"1.3.6.1.4.1.57264.2"},
		"max-request-body-size": 1 << 20,
	} {
		viper.Set(name, value)
	}
	s := server.NewRestAPIServer(*host, *port, []string{"http"}, false, time.Minute, time.Minute)
	if err := s.Serve(); err != nil {
		log.Fatal(err)
	}
}
