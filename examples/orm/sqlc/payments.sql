-- name: Add :one
INSERT INTO payments (amount) VALUES (?) RETURNING id;
