// Package kube is the cluster: what policies are made of there, and what is written back.
//
// The packages below it each do one thing: crd has the definitions of the resources,
// watch keeps what the cluster holds, status writes what became of it, lease says who
// writes, certificate keeps the webhooks reachable, pull reads the credentials of
// workloads, and hook judges policies as they are applied.
//
// All of it goes through the dynamic client and caches of tools/cache: the typed client
// and what is built upon it cost twenty times as much of the binary, for a handful of
// kinds. None of it decides about images: the engine does, with what is found here.
package kube

import (
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The groups of the resources: Sigstore's own, and ours.
const (
	SigstoreGroup = "policy.sigstore.dev"
	Group         = "policy.assay.dev"
)

// DefaultNamespace is where policy-controller is installed, and where the Secrets and
// ConfigMaps of policies are unless the installation says otherwise.
const DefaultNamespace = "cosign-system"

// RequestTimeout bounds one request that is no watch.
const RequestTimeout = 30 * time.Second

// rate bounds the requests of one client. Those beyond it wait for their turn.
type rate struct {
	perSecond float32
	burst     int
}

// ours is for what we watch and write: a handful of objects, so that this bounds what goes
// wrong.
func ours() rate { return rate{50, 100} }

// workloads is for what is asked because workloads are created: all namespaces of a cluster
// may begin anew at once. What is too much for the API server it says itself.
func workloads() rate { return rate{500, 1000} }

// Client reaches one cluster.
type Client struct {
	dynamic.Interface
	// Namespace is the one that we are installed in.
	Namespace string
}

// Connect makes a client from a kubeconfig file, or from inside a Pod where there is none.
// It opens no connection. userAgent is what the audit log of the API server shows. namespace
// is where we are installed; empty, it is the Pod's own, and else [DefaultNamespace].
func Connect(kubeconfig, namespace, userAgent string) (*Client, error) {
	return connect(kubeconfig, namespace, userAgent, ours())
}

// ConnectForWorkloads makes one whose requests whoever creates workloads causes. They wait
// behind each other, and nothing that is ours behind them.
func ConnectForWorkloads(kubeconfig, namespace, userAgent string) (*Client, error) {
	return connect(kubeconfig, namespace, userAgent, workloads())
}

func connect(kubeconfig, namespace, userAgent string, most rate) (*Client, error) {
	config, err := configuration(kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst, config.UserAgent = most.perSecond, most.burst, userAgent
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return &Client{Interface: client, Namespace: namespaceOr(namespace)}, nil
}

func configuration(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("cluster: got no --kubeconfig, and this is no Pod: %w", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	return config, nil
}

// ownNamespaceFile is where a Pod finds the name of its namespace.
const ownNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func namespaceOr(namespace string) string {
	if namespace != "" {
		return namespace
	}
	if own, err := os.ReadFile(ownNamespaceFile); err == nil {
		return strings.TrimSpace(string(own))
	}
	return DefaultNamespace
}
