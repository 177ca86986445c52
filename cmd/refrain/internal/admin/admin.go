// Package admin serves operators: health, readiness, metrics and the API that it is given. It never shows a key, a
// credential or a body.
package admin

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config configures a Server.
type Config struct {
	Metrics *Metrics
	// API serves /api/. If nil, there is none.
	API http.Handler
	// Ready are the checks that the process has to pass to get traffic.
	Ready []Check
	// Logger gets a line for each failed connection.
	Logger *slog.Logger
}

// A Server serves one admin address.
type Server struct {
	http *http.Server
	done chan struct{}
}

// Serve serves the listener until Close.
func Serve(l net.Listener, cfg Config) *Server {
	s := &Server{
		http: &http.Server{
			Handler:           Handler(cfg),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      30 * time.Second,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			cfg.Logger.Error("admin server ended", "err", err)
		}
	}()
	return s
}

// Close ends the server at once.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return err
}

// Handler returns what the server serves.
func Handler(cfg Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { serveReady(w, r, cfg.Ready) })
	if cfg.API != nil {
		mux.Handle("/api/", cfg.API)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Metrics.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelError),
	}))
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(strings.ReplaceAll(text, "\n", "; ") + "\n"))
}
