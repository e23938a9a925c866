import type { Client } from "@kindred/client";
import axios, { type AxiosResponse, type InternalAxiosRequestConfig } from "axios";
import { isRefused } from "./refused.js";

/** A request, with the access token that it is sent with and the one that was refused before. */
type Config = InternalAxiosRequestConfig & { token?: string | null; refused?: string };

/** axios with the access token, by interceptors. A refused request is sent once more, with a new token. */
export function createAxios(baseURL: string, kindred: Client) {
  const http = axios.create({ baseURL });

  http.interceptors.request.use(async (config: Config) => {
    config.token = await kindred.getAccessToken(config.refused);
    config.headers.set("Authorization", config.token && `Bearer ${config.token}`);
    return config;
  });

  function retry({ status, data, config }: AxiosResponse): Promise<AxiosResponse> | null {
    const { token, refused }: Config = config;
    if (!token || refused || !isRefused(status, data?.errors)) return null;
    const next: Config = { ...config, refused: token };
    return http.request(next);
  }

  http.interceptors.response.use(
    (response) => retry(response) ?? response,
    (error) => (error.response && retry(error.response)) ?? Promise.reject(error),
  );
  return http;
}
