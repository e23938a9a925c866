import axios from "axios";
import { isRefused } from "./refused.mjs";

/** axios with the access token, by interceptors. What is refused is sent once more, with a new one. */
export function createAxios(baseURL, kindred) {
  const http = axios.create({ baseURL });

  http.interceptors.request.use(async (config) => {
    config.token = await kindred.getAccessToken(config.refused);
    config.headers.set("Authorization", config.token && `Bearer ${config.token}`);
    return config;
  });

  const again = ({ status, data, config }) =>
    isRefused(status, data?.errors) && config.token && !config.refused
      ? http.request({ ...config, refused: config.token })
      : null;

  http.interceptors.response.use(
    (response) => again(response) ?? response,
    (error) => (error.response && again(error.response)) ?? Promise.reject(error),
  );
  return http;
}
