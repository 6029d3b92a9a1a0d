package mysql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Modes of TLS. There is none that falls back to plaintext.
const (
	tlsDisable    = "disable"
	tlsRequire    = "require" // encrypted, whoever the server is
	tlsVerifyCA   = "verify-ca"
	tlsVerifyFull = "verify-full"
)

// tlsMeant says what other clients' modes are called here.
var tlsMeant = map[string]string{
	"true": tlsVerifyFull, "skip-verify": tlsRequire, "false": tlsDisable, "DISABLED": tlsDisable, "REQUIRED": tlsRequire,
	"VERIFY_CA": tlsVerifyCA, "VERIFY_IDENTITY": tlsVerifyFull, "preferred": tlsRequire, "PREFERRED": tlsRequire, "prefer": tlsRequire,
}

// encrypt decides about TLS: without a mode it is off for loopback addresses and sockets and verify-full everywhere else; a mode that
// was asked for is obeyed.
func (d *dsn) encrypt(keys map[string]string) error {
	mode, asked := keys["tls"]
	ca, cert, key := keys["tls_ca"], keys["tls_cert"], keys["tls_key"]
	switch {
	case (cert == "") != (key == ""):
		return errors.New("tls_cert and tls_key belong together")
	case asked && mode == tlsDisable && (ca != "" || cert != ""):
		return errors.New("tls=disable has no use for tls_ca, tls_cert and tls_key")
	case asked && mode == tlsRequire && ca != "":
		return errors.New("tls=require looks at no certificate and has no use for tls_ca: want tls=verify-ca or tls=verify-full")
	case !asked && d.local() && ca == "" && cert == "":
		return nil
	case !asked:
		mode = tlsVerifyFull
	}
	config := &tls.Config{ServerName: d.host, MinVersion: tls.VersionTLS12}
	switch mode {
	case tlsDisable:
		if !d.local() {
			d.warnings = append(d.warnings, "tls=disable sends everything unencrypted, and whoever stands in between can learn the password")
		}
		return nil
	case tlsRequire:
		config.InsecureSkipVerify = true
		d.warnings = append(d.warnings, "tls=require encrypts without checking who the server is; prefer verify-full")
	case tlsVerifyCA:
		config.InsecureSkipVerify, config.VerifyConnection = true, verifyChain(config)
		if ca == "" {
			d.warnings = append(d.warnings, "tls=verify-ca without tls_ca takes any server with a public certificate; give tls_ca, or prefer verify-full")
		}
	case tlsVerifyFull:
	default:
		return unknownMode(mode)
	}
	if err := readCA(config, ca); err != nil {
		return err
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return fmt.Errorf("read tls_cert and tls_key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	d.tls = config
	return nil
}

func unknownMode(mode string) error {
	all := "want disable, require, verify-ca or verify-full"
	if meant, ok := tlsMeant[mode]; ok {
		return fmt.Errorf("tls=%s is not offered: %s; the nearest is %s", mode, all, meant)
	}
	return errors.New("the mode of tls is unknown: " + all)
}

func readCA(config *tls.Config, file string) error {
	if file == "" {
		return nil // those of the system
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read tls_ca: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("read tls_ca: there is no certificate in %s", file)
	}
	return nil
}

// verifyChain checks a server's certificate against the CA, and not whose it is.
func verifyChain(config *tls.Config) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{Roots: config.RootCAs, Intermediates: x509.NewCertPool()}
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server has shown no certificate")
		}
		for _, c := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		if _, err := state.PeerCertificates[0].Verify(options); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		return nil
	}
}
