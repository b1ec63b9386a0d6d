module bowline.dev/middleware

go 1.19
